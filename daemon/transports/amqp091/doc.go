// Package amqp091 is the driver for RabbitMQ over AMQP 0-9-1: a sink that publishes to a topic exchange with publisher
// confirms, and a source that consumes from a durable queue with manual acknowledgements. Each has a connection of its
// own, so that back-pressure on the publisher does not stop the consumer, and keeps it: it reconnects, with a growing
// pause, until it is closed.
//
// Delivery is at least once. The sink repeats nothing: whatever was open when its connection was lost gets an error that is
// worth a retry, and the caller publishes it again with the same ids. The source acknowledges only what was settled;
// the broker delivers the rest again.
//
// What is on the wire: an Eiffel event as application/json under its Sepia routing key ([RoutingKey]), and on request
// either protocol as CloudEvents, structured or binary (see the formats). All messages are persistent.
package amqp091
