// Package endtoend holds the tests of the built command on a real RabbitMQ, with clients that are not the project's own:
// the CloudEvents SDK, curl, and a plain AMQP consumer.
package endtoend
