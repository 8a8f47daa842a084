// The plugin protocol for Node: everything that package sdk does for plugins in Go. plugin.proto says what the calls mean.
import grpc from '@grpc/grpc-js';
import {loadSync} from '@grpc/proto-loader';
import {existsSync} from 'node:fs';
import {fileURLToPath} from 'node:url';
import {selfSigned} from './certificate.js';

const maxMessage = 64 << 20;

/** MappingError says why an event cannot be translated; the code no_mapping, that the plugin has no mapping for it. */
export class MappingError extends Error {
  constructor(code, pointer, message) {
    super(message);
    Object.assign(this, {code, pointer});
  }
}

/** log writes a line to standard error, which the host reads. */
export function log(level, msg, attributes = {}) {
  process.stderr.write(JSON.stringify({level, msg, ...attributes}) + '\n');
}

/** protocol finds plugin.proto beside this file, where a plugin of your own has its copy, or in the repository of the bridge. */
function protocol() {
  const near = ['./plugin.proto', '../../../plugins/pluginv1/plugin.proto'].map((path) => fileURLToPath(new URL(path, import.meta.url)));
  const file = near.find(existsSync);
  if (!file) {
    throw new Error(`there is no ${near[0]}: copy it from plugins/pluginv1 of the bridge`);
  }
  return grpc.loadPackageDefinition(loadSync(file, {enums: String, defaults: true})).eiffelbridge.plugin.v1;
}

/**
 * serveMapping serves a mapping plugin until its host is gone or has no more use for it.
 *
 * configure(config) gets the plugin's configuration and returns the mapping: a function of an event and its text that returns a
 * TranslateResult (of plugin.proto, with text in place of bytes), or throws a MappingError. What configure throws is shown to the user.
 */
export function serveMapping({name, version, types, configure}) {
  if (process.env.EIFFELBRIDGE_PLUGIN === undefined) {
    process.stderr.write(`${name} is a plugin of Eiffel Bridge, which starts it: name it under plugins in the configuration\n`);
    process.exit(2);
  }
  // Standard output belongs to the handshake.
  for (const level of ['debug', 'info', 'log', 'warn', 'error']) {
    console[level] = (...words) => log(level === 'log' ? 'info' : level, words.map(String).join(' '));
  }

  let mapping;
  const server = new grpc.Server({'grpc.max_receive_message_length': maxMessage, 'grpc.max_send_message_length': maxMessage});
  let ending = false;
  /** end finishes what is under way and exits. */
  const end = () => {
    if (!ending) {
      ending = true;
      server.tryShutdown(() => process.exit(0));
      setTimeout(() => process.exit(0), 2000).unref();
    }
  };
  process.on('SIGTERM', end);
  process.on('SIGINT', () => {}); // a terminal sends it to the host too, which ends us in its own time

  const {PluginService, MappingService} = protocol();
  server.addService(PluginService.service, {
    describe: (call, reply) => reply(null, {name, version, kind: 'KIND_MAPPING', types}),
    configure(call, reply) {
      try {
        const text = call.request.config.toString('utf8');
        mapping = configure(text ? JSON.parse(text) : {});
        reply(null, {});
      } catch (error) {
        reply({code: grpc.status.INVALID_ARGUMENT, details: error.message});
      }
    },
    lease(call) {
      call.on('cancelled', end); // the host is gone
      call.write({ready: true});
    },
  });
  server.addService(MappingService.service, {
    translate(call) {
      call.on('data', ({items}) => {
        const more = call.write({results: items.map((item) => translateOne(mapping, item))});
        if (!more) { // the host does not read: take no more until it does
          call.pause();
          call.once('drain', () => call.resume());
        }
      });
      call.on('end', () => call.end());
      call.on('error', () => {}); // the host ended the stream, and may open another
    },
  });
  addHandshakeServices(server, end);

  listen(server).then((line) => process.stdout.write(line + '\n'), (error) => {
    log('error', `${name} cannot listen: ${error.message}`);
    process.exit(1);
  });
}

/** translateOne gives the result of one item: what is wrong with an event is no reason to fail the others. */
function translateOne(mapping, {event}) {
  try {
    const text = event.toString('utf8');
    const {events, ...rest} = mapping(JSON.parse(text), text);
    return {...rest, events: events.map(({json, ...more}) => ({...more, json: Buffer.from(json)}))};
  } catch (error) {
    if (!(error instanceof MappingError)) {
      log('error', 'the mapping failed', {error: error.stack});
    }
    return {error: {code: error.code ?? 'mapping', pointer: error.pointer ?? '', message: error.message}};
  }
}

/** listen binds a port and gives the handshake line. With AutoMTLS both sides prove who they are by certificates of their own. */
async function listen(server) {
  let credentials = grpc.ServerCredentials.createInsecure();
  let own = '';
  if (process.env.PLUGIN_CLIENT_CERT) {
    const {certificate, privateKey} = selfSigned('localhost');
    credentials = grpc.ServerCredentials.createSsl(Buffer.from(process.env.PLUGIN_CLIENT_CERT),
        [{cert_chain: pem(certificate), private_key: Buffer.from(privateKey)}], true);
    own = certificate.toString('base64').replaceAll('=', '');
  }
  const port = await new Promise((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', credentials, (error, port) => error ? reject(error) : resolve(port));
  });
  return `1|1|tcp|127.0.0.1:${port}|grpc|${own}`;
}

function pem(der) {
  return Buffer.from(`-----BEGIN CERTIFICATE-----\n${der.toString('base64').match(/.{1,64}/g).join('\n')}\n-----END CERTIFICATE-----\n`);
}

/** addHandshakeServices adds what go-plugin wants of every plugin. The messages are so small that they are written here. */
function addHandshakeServices(server, end) {
  const method = (path) => ({
    path, requestStream: false, responseStream: false, requestDeserialize: (bytes) => bytes, responseSerialize: (bytes) => bytes,
  });
  const serving = Buffer.from([0x08, 0x01]); // HealthCheckResponse{status: SERVING}
  server.addService({Check: method('/grpc.health.v1.Health/Check')}, {Check: (call, reply) => reply(null, serving)});
  server.addService({Shutdown: method('/plugin.GRPCController/Shutdown')}, {
    Shutdown(call, reply) {
      reply(null, Buffer.alloc(0));
      setImmediate(end);
    },
  });
}
