#!/usr/bin/env node
// The plugin: what it is called, which events it is asked about, and what its configuration may say.
import {serveMapping} from './serve.js';
import {mapping} from './signoff.js';

serveMapping({
  name: 'acme-signoff',
  version: '1.0.0',
  types: ['dev.cdeventsx.acme-signoff.given', 'EiffelConfidenceLevelModifiedEvent'],

  // configure is called once, with the section `config` of the plugin's configuration, before the first event. An error is shown to
  // the user.
  configure({level = 'acmeSignoff', returning = 'drop', ...others}) {
    if (!/^[A-Za-z_][A-Za-z0-9_.]*$/.test(level)) {
      throw new Error(`level: ${JSON.stringify(level)} is not the name of a confidence level`);
    }
    if (returning !== 'drop' && returning !== 'restore') {
      throw new Error(`returning: ${JSON.stringify(returning)} is neither drop nor restore`);
    }
    for (const name of Object.keys(others)) {
      throw new Error(`${name}: is not known; known are level, returning`);
    }
    return mapping({level, restore: returning === 'restore'});
  },
});
