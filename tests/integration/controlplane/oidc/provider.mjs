// A real OpenID provider for the tests: npm's oidc-provider with its own login pages. Arguments: its folder, the port (0: any), the
// redirect URI, a file with its private key as a JWK, a file with the groups by name. Prints the port once it listens. Any name and
// password will do.
import { createServer } from 'node:http';
import { readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';

const [folder, port, redirectUri, keyFile, groupsFile] = process.argv.slice(2);
const { Provider } = await import(pathToFileURL(`${folder}/node_modules/oidc-provider/lib/index.js`));

const server = createServer();
await new Promise((resolve) => server.listen(Number(port), '127.0.0.1', resolve));
const issuer = `http://127.0.0.1:${server.address().port}`;
const provider = new Provider(issuer, {
  clients: [{
    client_id: 'skerry', client_secret: 'a-secret-of-the-tests', redirect_uris: [redirectUri],
    grant_types: ['authorization_code'], response_types: ['code'],
  }],
  jwks: { keys: [JSON.parse(readFileSync(keyFile, 'utf8'))] },
  cookies: { keys: ['of the tests'] },
  claims: { openid: ['sub'], profile: ['name', 'preferred_username'], email: ['email'], groups: ['groups'] },
  conformIdTokenClaims: false,
  pkce: { required: () => true },
  findAccount: (_context, id) => {
    const groups = JSON.parse(readFileSync(groupsFile, 'utf8'))[id] ?? [];
    const claims = {
      sub: id, name: `The ${id}`, preferred_username: id, email: `${id}@example.org`, groups,
    };
    return { accountId: id, claims: () => claims };
  },
});
server.on('request', provider.callback());
console.log(server.address().port);
