// What `jose` makes of the corpus, configured as strictly as it allows: `node jose.js FOLDER` writes an object with null
// for each case that it takes and its reason for each that it refuses.
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { compactVerify, createLocalJWKSet, jwtVerify } from "jose";

const folder = process.argv[2];
const read = (name) => JSON.parse(readFileSync(join(folder, name), "utf8"));
const algorithms = ["ES256", "EdDSA", "Ed25519", "RS256"];
const sets = read("sets_of_keys.json");

async function judge({ token, keys = "published", leeway = 0, at = "https://api.example/mcp", signature_only }) {
  const set = createLocalJWKSet(sets[keys]);
  if (signature_only) return compactVerify(token, set, { algorithms });
  return jwtVerify(token, set, {
    algorithms,
    audience: at,
    clockTolerance: leeway,
    currentDate: new Date(1_700_000_000_000),
    issuer: "https://shift.example",
    // With any age it also looks whether `iat` is in the future.
    maxTokenAge: 1e12,
    requiredClaims: ["aud", "client_id", "exp", "iat", "iss", "jti", "sub"],
    typ: "at+jwt",
  });
}

const verdicts = {};
for (const file of readdirSync(folder).filter((name) => name !== "sets_of_keys.json")) {
  for (const one of read(file).cases) {
    const name = `${file.replace(".json", "")}: ${one.name}`;
    verdicts[name] = await judge(one).then(() => null, (error) => `${error.code ?? error.name}: ${error.message}`);
  }
}
process.stdout.write(JSON.stringify(verdicts));
