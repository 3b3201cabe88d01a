// For a script that has said what `endings`, `portion` (files), `bytes` and `words` are: which files are pictures, which
// of them are too large and what is said of these, in what portions the others go to the server, and what lies in a
// folder that was dropped. BIGGEST: bytes, of ui/fields.py.
const biggest = BIGGEST, shownNames = 5;
const fits = (file) => endings.some((ending) => file.name.toLowerCase().endsWith(ending)) && !file.name.startsWith(".");
const large = (file) => file.size > biggest;
const naming = (said, some) => {
  const names = [...some.slice(0, shownNames).map((file) => file.name), ...(some.length > shownNames ? ["..."] : [])];
  return some.length ? [said.replace("{names}", () => names.join(", "))] : [];
};
const leftOut = (files) => {
  const others = files.filter((file) => !fits(file) && !file.name.startsWith("."));  // not .DS_Store and the like
  const some = files.filter((file) => fits(file) && large(file));
  const zip = (file) => file.name.toLowerCase().endsWith(".zip");
  const advice = [...(some.every(zip) ? [] : [words.smaller]), ...(some.some(zip) ? [words.unpack] : [])];
  return [...naming(words.unreadable, others), ...naming(words.large, some), ...advice].join(" ");
};
const portions = (files) => files.reduce((all, file) => {
  const last = all[all.length - 1];
  const full = !last || last.length === portion || last.reduce((sum, f) => sum + f.size, file.size) > bytes;
  full ? all.push([file]) : last.push(file);
  return all;
}, []);
const walk = async (entry) => {
  if (entry.isFile) return [await new Promise((take, fail) => entry.file(take, fail))];
  const reader = entry.createReader(), found = [];
  for (;;) {
    const some = await new Promise((take, fail) => reader.readEntries(take, fail));
    if (!some.length) return found;
    for (const inner of some) found.push(...(await walk(inner)));
  }
};
