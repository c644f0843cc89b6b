// Hands the export over to the control plane, with each text packed beside it for the usual case of no URL prefix.
import { cp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { brotliCompress, constants } from "node:zlib";

const PREFIX_MARK = "/__levqor_prefix__";
const TEXTS = new Set([".html", ".js", ".css", ".txt", ".json", ".svg"]);

const root = fileURLToPath(new URL("..", import.meta.url));
const exported = join(root, "out");
const target = join(root, "..", "src", "levqor", "web", "site");
const compress = promisify(brotliCompress);

await rm(target, { recursive: true, force: true });
await cp(exported, target, { recursive: true });

// The page may talk to the hosts that it was built for, and the control plane must know them for its policy.
const dsn = process.env.NEXT_PUBLIC_SENTRY_DSN_FE ?? "";
if (dsn !== "") await writeFile(join(target, "connects.json"), JSON.stringify([new URL(dsn).origin]));

for (const entry of await readdir(target, { recursive: true, withFileTypes: true })) {
  if (!entry.isFile() || !TEXTS.has(extname(entry.name))) continue;
  const file = join(entry.parentPath, entry.name);
  // The mark alone is the first page's address (src/levqor/web/site.py puts a prefix in the same way).
  const text = (await readFile(file, "utf8")).replaceAll(`href="${PREFIX_MARK}"`, 'href="/"').replaceAll(PREFIX_MARK, "");
  await writeFile(`${file}.br`, await compress(text, { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } }));
}
