// The mapping, both ways: dev.cdeventsx.acme-signoff.given, which Acme's release board sends when somebody signs an artifact off, becomes
// EiffelConfidenceLevelModifiedEvent; and such an event, when it comes round, is known for what it is.
//
// A mapping is deterministic: an event that is delivered twice gives the same events with the same ids. So there is no clock and no
// chance in here.
import {createHash} from 'node:crypto';
import {MappingError} from './serve.js';

const serializer = 'pkg:npm/acme-signoff@1.0.0';
const carried = 'acme-signoff'; // the key of the original in the custom data

/** mapping makes the function that translates an event, which comes as an object and as the text that it was. */
export function mapping({level, restore}) {
  return (event, text) => event.meta ? fromConfidenceLevel(event, text, level, restore) : toConfidenceLevel(event, text, level);
}

function toConfidenceLevel(event, text, level) {
  const {context, subject} = event;
  if (event.customData?.eiffel) { // it came from Eiffel, and the bridge knows its way back
    throw new MappingError('no_mapping', '', 'the event carries an Eiffel event');
  }
  const {artifact, approved, by, comment} = subject?.content ?? {};
  if (!isUUID(artifact)) {
    throw new MappingError('invalid', '/subject/content/artifact', 'the id of an EiffelArtifactCreatedEvent belongs here');
  }
  if (typeof approved !== 'boolean') {
    throw new MappingError('invalid', '/subject/content/approved', 'true or false belongs here');
  }
  const time = Date.parse(context.timestamp);
  if (!Number.isSafeInteger(time)) {
    throw new MappingError('invalid', '/context/timestamp', 'not a time of RFC 3339');
  }
  const used = new Set(['/context/id', '/context/source', '/context/type', '/context/timestamp',
    '/subject/content/artifact', '/subject/content/approved']);

  const data = {name: level, value: approved ? 'SUCCESS' : 'FAILURE'};
  if (typeof by?.name === 'string') {
    data.issuer = {name: by.name};
    used.add('/subject/content/by/name');
  }
  if (typeof by?.email === 'string') {
    data.issuer = {...data.issuer, email: by.email};
    used.add('/subject/content/by/email');
  }
  // The original goes along, so that the way back gives the same event: as text, since what JSON.parse makes of its numbers is not always
  // what they were.
  data.customData = [{key: carried, value: {original: text}}];
  if (typeof comment === 'string') {
    data.customData.push({key: 'comment', value: comment});
    used.add('/subject/content/comment');
  }
  const out = {
    meta: {
      id: eiffelID(event), type: 'EiffelConfidenceLevelModifiedEvent', version: '3.3.0', time,
      source: {serializer, uri: context.source},
    },
    data,
    links: [{type: 'SUBJECT', target: artifact}],
  };
  return {
    events: [{json: JSON.stringify(out)}],
    losses: leaves(event).filter((pointer) => !used.has(pointer)).map((pointer) => ({pointer, reason: 'no place for it', carried: true})),
  };
}

function fromConfidenceLevel(event, text, level, restore) {
  const original = event.data?.customData?.find?.(({key}) => key === carried)?.value?.original;
  if (event.meta.source?.serializer !== serializer || !isWrittenFor(original, text, level)) {
    throw new MappingError('no_mapping', '', 'the confidence level is not from here');
  }
  return restore ? {events: [{json: original}], returning: 'RETURNING_RESTORED'} : {events: [], returning: 'RETURNING_DROPPED'};
}

/** isWrittenFor tells whether an Eiffel event is what its original becomes. Anybody can write anything into custom data. */
function isWrittenFor(original, text, level) {
  try {
    return toConfidenceLevel(JSON.parse(original), original, level).events[0].json === text;
  } catch {
    return false;
  }
}

/** eiffelID is the id of the Eiffel event: that of the CDEvent if Eiffel takes it, else one that is made of it. */
function eiffelID({context: {id, source}}) {
  if (isUUID(id)) {
    return id;
  }
  const hash = createHash('sha1').update('acme-signoff\0').update(JSON.stringify([source, id])).digest();
  hash[6] = 0x50 | (hash[6] & 0x0f); // version 5
  hash[8] = 0x80 | (hash[8] & 0x3f);
  const hex = hash.toString('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20, 32)].join('-');
}

/** isUUID tells whether Eiffel takes a value as an id: lower case, of a version up to 5. */
function isUUID(value) {
  return typeof value === 'string' && /^[0-9a-f]{8}-[0-9a-f]{4}-[1-5][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(value);
}

/** leaves are the JSON pointers of everything in a value that is neither an object nor an array with something in it. */
function leaves(value, at = '') {
  if (value === null || typeof value !== 'object' || Object.keys(value).length === 0) {
    return [at];
  }
  return Object.entries(value).flatMap(([name, member]) => leaves(member, `${at}/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`));
}
