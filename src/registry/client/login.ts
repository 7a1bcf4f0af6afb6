import type { Credentials } from '../credentials.ts';
import { RegistryError } from '../errors.ts';
import { isSuccess } from './manifests.ts';
import type { Place, Sender } from './sender.ts';

/** Whether a registry takes these credentials; with a refresh token if it gives one. */
export async function logIn(
  sender: Sender,
  place: Place,
  credentials: Credentials,
): Promise<{ readonly status: string; readonly identityToken: string }> {
  let identityToken = '';
  const signal = AbortSignal.timeout(sender.wire.timings.documentMs);
  const answer = await sender.send(
    place,
    { method: 'GET', path: '/v2/', signal },
    {
      scopes: [],
      credentials,
      onRefreshToken: (token) => {
        identityToken = token;
      },
    },
  );
  answer.discard();
  if (isSuccess(answer)) return { status: 'Login Succeeded', identityToken };
  const { status, statusText, url } = answer;
  throw new RegistryError(`login attempt to ${url.href} failed with status: ${status} ${statusText}`, {
    status: 0,
    permanent: true,
  });
}
