// The plugin: what it is called, which events it is asked about, and how it translates one.
import {MappingError, serveMapping} from './serve.js';
import {toConfidenceLevel} from './signoff.js';

serveMapping({
  name: 'acme-signoff',
  version: '1.0.0',
  types: ['dev.cdeventsx.acme-signoff.given'],

  // configure is called once, with the section `config` of the plugin's configuration, before the first event.
  configure(config) {
    const level = config.level ?? 'acmeSignoff';
    if (!/^[A-Za-z_][A-Za-z0-9_.]*$/.test(level)) {
      throw new MappingError('invalid', '/level', `level: ${JSON.stringify(level)} is not the name of a confidence level`);
    }
    return (event, text) => toConfidenceLevel(event, text, level);
  },
});
