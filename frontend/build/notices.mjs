// Writes public/third-party-notices.txt, which the server serves: what ships in the binary and in the client, and its
// licences, as the packages have them. With --check it only compares the list of packages.

import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const frontend = join(dirname(fileURLToPath(import.meta.url)), "..");
const root = join(frontend, "..");
const FILE = join(frontend, "public/third-party-notices.txt");
const LICENCE = /^(licen[cs]e|copying|copyright|notice|unlicen[cs]e)/i;
const RULE = `\n${"=".repeat(80)}\n`;

/** The crates that are linked into the binary on Linux: no macros, build scripts or tests. */
function crates() {
  const args = ["metadata", "--format-version=1", "--locked", "--filter-platform=x86_64-unknown-linux-gnu"];
  const metadata = JSON.parse(
    execFileSync("cargo", args, {
      cwd: root,
      encoding: "utf8",
      maxBuffer: 2 ** 26,
      stdio: ["ignore", "pipe", "inherit"],
    }),
  );
  const packages = new Map(metadata.packages.map((crate) => [crate.id, crate]));
  const nodes = new Map(metadata.resolve.nodes.map((node) => [node.id, node]));
  const linked = new Set([metadata.resolve.root]);
  for (const id of linked) {
    for (const { pkg, dep_kinds } of nodes.get(id).deps) {
      const macro = packages.get(pkg).targets.some((target) => target.kind.includes("proc-macro"));
      if (!macro && dep_kinds.some(({ kind }) => kind === null)) linked.add(pkg);
    }
  }
  linked.delete(metadata.resolve.root);
  return [...linked].map((id) => {
    const { name, version, license, authors, manifest_path } = packages.get(id);
    return { name, version, license, authors, files: licences(dirname(manifest_path)) };
  });
}

/** The packages of npm that are no development dependencies. */
function modules() {
  const lock = JSON.parse(readFileSync(join(frontend, "package-lock.json"), "utf8"));
  return Object.entries(lock.packages)
    .filter(
      ([path, entry]) => path !== "" && !entry.dev && !entry.devOptional && existsSync(join(frontend, path)),
    )
    .map(([path, { version, license }]) => {
      const name = path.slice(path.lastIndexOf("node_modules/") + "node_modules/".length);
      return { name, version, license, authors: [], files: licences(join(frontend, path)) };
    });
}

/** What the API's pages bring along: README.md there says from where. */
function documents() {
  const assets = join(root, "src/http/docs/assets");
  const readme = readFileSync(join(assets, "README.md"), "utf8");
  return [...readme.matchAll(/npm pack ([\w-]+)@([\d.]+)/g)].map(([, name, version]) => {
    const product = name.replace("-dist", "");
    const files = readdirSync(assets).filter(
      (file) => file.startsWith(`${product}`) && /LICENSE|NOTICE/.test(file),
    );
    return { name, version, license: "", authors: [], files: files.map((file) => read(join(assets, file))) };
  });
}

function licences(directory) {
  const entries = readdirSync(directory, { withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile() && LICENCE.test(entry.name));
  return files.map((file) => read(join(directory, file.name))).filter((text) => text !== "");
}

function read(path) {
  return readFileSync(path, "utf8").replace(/\r\n?/g, "\n").trim();
}

const packages = [...crates(), ...modules(), ...documents()]
  .map((shipped) => ({ ...shipped, title: `${shipped.name} ${shipped.version}` }))
  .sort((a, b) => (a.title < b.title ? -1 : Number(a.title > b.title)));
const list = [
  ...new Set(packages.map(({ title, license }) => (license ? `${title} (${license})` : title))),
].join("\n");

/** Whose text it is, by text: many packages share one. */
const texts = new Map();
for (const { title, license, authors, files } of packages) {
  const stated =
    `The package has no file with its licence. It states: ${license}.\n${authors.join("\n")}`.trim();
  for (const text of files.length > 0 ? files : [stated]) {
    texts.set(text, (texts.get(text) ?? new Set()).add(title));
  }
}

const HEAD = "Hearth holds these packages, whose licences follow. `make notices` writes this file.\n\n";
if (process.argv.includes("--check")) {
  const written = existsSync(FILE) ? readFileSync(FILE, "utf8") : "";
  if (!written.startsWith(`${HEAD}${list}\n${RULE}`)) {
    console.error("third-party-notices.txt isn't of the packages that ship: `make notices` writes it anew");
    process.exit(1);
  }
} else {
  const sections = [...texts].map(([text, titles]) => `${RULE}${[...titles].join(", ")}\n\n${text}\n`);
  writeFileSync(FILE, `${HEAD}${list}\n${sections.join("")}`);
  console.log(`${packages.length} packages, ${texts.size} licences`);
}
