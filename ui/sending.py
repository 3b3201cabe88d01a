"""Folders and many files, as the browser's scripts of Batch and of Your archive open them and send them."""

# For a script that has said what `endings`, `portion` (files) and `bytes` are: which files are pictures, in what
# portions they go to the server, and what lies in a folder that was dropped.
FILES = """
const fits = (file) => endings.some((ending) => file.name.toLowerCase().endsWith(ending)) && !file.name.startsWith(".");
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
"""
