import assert from 'node:assert/strict';
import { test } from 'node:test';
import { goReason, goRequest, requestError } from './go-errors.ts';

const failed = (code: string, more: object = {}, message = code): Error =>
  Object.assign(new Error(message), { code, ...more });
const at = { address: '127.0.0.1', port: 1 };

test('connections', () => {
  assert.equal(goReason(failed('ECONNREFUSED', at)), 'dial tcp 127.0.0.1:1: connect: connection refused');
  assert.equal(
    goReason(
      new AggregateError([failed('EHOSTUNREACH', { address: '::1', port: 2 }), failed('ECONNREFUSED', at)]),
    ),
    'dial tcp [::1]:2: connect: no route to host',
  );
  assert.equal(goReason(failed('ETIMEDOUT', at)), 'dial tcp 127.0.0.1:1: i/o timeout');
  assert.equal(goReason(failed('ECONNRESET', {}, 'socket hang up')), 'EOF');
  assert.equal(
    goReason(failed('ECONNRESET', { ends: 'a:1->b:2' }, 'read ECONNRESET')),
    'read tcp a:1->b:2: read: connection reset by peer',
  );
  assert.match(
    goReason(failed('ENOTFOUND', { hostname: 'r.example' })),
    /^dial tcp: lookup r\.example on .+:53: no such host$/,
  );
  assert.match(
    goReason(failed('HPE_INVALID_CONSTANT', { rawPacket: Buffer.from('SSH-2.0-x\r\nmore') })),
    /malformed HTTP response "SSH-2\.0-x"$/,
  );
});

test('a proxy that makes no tunnel', () => {
  const refused = failed('ERR_PROXY_TUNNEL', { statusCode: 407 });
  assert.equal(goReason(refused), 'Proxy Authentication Required');
});

test('certificates', () => {
  const x509 = (code: string, more: object = {}): string =>
    goReason(failed(code, more)).replace('tls: failed to verify certificate: x509: ', '');
  assert.equal(x509('SELF_SIGNED_CERT_IN_CHAIN'), 'certificate signed by unknown authority');
  assert.match(
    x509('CERT_HAS_EXPIRED', { cert: { valid_to: 'Jan  1 00:00:00 2021 GMT' } }),
    /^certificate has expired or is not yet valid: current time \S+Z is after 2021-01-01T00:00:00Z$/,
  );
  const named = (host: string, subjectaltname?: string): string =>
    x509('ERR_TLS_CERT_ALTNAME_INVALID', { host, cert: { subjectaltname } });
  assert.equal(named('r.example', 'DNS:a, DNS:b'), 'certificate is valid for a, b, not r.example');
  assert.equal(named('r.example'), 'certificate is not valid for any names, but wanted to match r.example');
  assert.equal(
    named('198.18.0.1', 'DNS:a'),
    "cannot validate certificate for 198.18.0.1 because it doesn't contain any IP SANs",
  );
});

test('TLS itself', () => {
  assert.equal(
    goReason(failed('ERR_SSL_WRONG_VERSION_NUMBER')),
    'http: server gave HTTP response to HTTPS client',
  );
  assert.equal(
    goReason(failed('ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED')),
    'remote error: tls: certificate required',
  );
  assert.equal(
    goReason(failed('ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION')),
    'remote error: tls: protocol version not supported',
  );
});

test('the request in front, without secrets; what is of no use is not repeated', () => {
  assert.equal(goRequest('GET', new URL('https://u:p@r.example/v2/')), 'Get "https://r.example/v2/"');
  const error = requestError({ method: 'HEAD', url: new URL('http://r.example/') }, 'EOF');
  assert.deepEqual(
    [error.message, error.reason, error.permanent],
    ['Head "http://r.example/": EOF', 'EOF', false],
  );
  const refused = requestError(
    { method: 'GET', url: new URL('http://r/') },
    'dial tcp 1:1: connect: connection refused',
  );
  assert.ok(refused.permanent);
});
