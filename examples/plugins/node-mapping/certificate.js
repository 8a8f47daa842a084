// A certificate that is made for one start. Node can read X.509 but not write it, so the few fields that are needed are written here.
import {generateKeyPairSync, randomBytes, sign} from 'node:crypto';

/** der is one element of DER (X.690): its tag, its length, its content. */
function der(tag, ...parts) {
  const content = Buffer.concat(parts.map((part) => Buffer.from(part)));
  const length = content.length;
  const size = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...size]), content]);
}

const sequence = (...parts) => der(0x30, ...parts);
const octets = (...parts) => der(0x04, ...parts);
const time = (date) => der(0x18, date.toISOString().replace(/[-:T]|\.\d+/g, '')); // GeneralizedTime, 20260102030405Z
const ecdsaWithSHA256 = sequence(der(0x06, [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02]));
const yes = der(0x01, [0xff]);

/** extension is one of id-ce (2.5.29). */
const extension = (number, critical, value) => sequence(der(0x06, [0x55, 0x1d, number]), critical ? yes : '', octets(value));

/** selfSigned makes a key and a certificate for a host name: the certificate as DER, the key as PEM. */
export function selfSigned(hostName) {
  const {publicKey, privateKey} = generateKeyPairSync('ec', {namedCurve: 'P-256'});
  const name = sequence(der(0x31, sequence(der(0x06, [0x55, 0x04, 0x03]), der(0x0c, hostName)))); // CN
  const serial = randomBytes(16);
  serial[0] = 0x40 | (serial[0] & 0x3f); // positive
  const now = Date.now();
  const body = sequence(
      der(0xa0, der(0x02, [2])), // version 3
      der(0x02, serial),
      ecdsaWithSHA256,
      name, // issuer
      sequence(time(new Date(now - 3600e3)), time(new Date(now + 10 * 365 * 24 * 3600e3))),
      name, // subject
      publicKey.export({type: 'spki', format: 'der'}),
      der(0xa3, sequence(
          extension(17, false, sequence(der(0x82, hostName))), // subjectAltName
          extension(19, true, sequence(yes)), // basicConstraints: it is its own authority
          extension(15, true, der(0x03, [2, 0x84])), // keyUsage: digitalSignature, keyCertSign
      )),
  );
  const signature = sign('sha256', body, privateKey);
  return {
    certificate: sequence(body, ecdsaWithSHA256, der(0x03, [0], signature)),
    privateKey: privateKey.export({type: 'pkcs8', format: 'pem'}),
  };
}
