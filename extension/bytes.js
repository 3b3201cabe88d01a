// The bytes of a picture, as the page has them: nothing is decoded and encoded again, but for screenshots.

const api = globalThis.browser ?? chrome;
const SMALL = 240; // px, of the copy in the panel

// Runs a function of page.js or readHere in a frame; null where the browser does not let us.
export async function inPage(place, func, args, then = (value) => value) {
  try {
    const target = { tabId: place.tab, frameIds: [place.frame ?? 0] };
    const [done] = await api.scripting.executeScript({ target, func, args });
    return done.result ? await then(done.result) : null;
  } catch {
    return null;
  }
}

// Runs in the page, beside its own scripts and not under its CSP: a data address of what the page may read.
export async function readHere(url) {
  try {
    const answer = await fetch(url);
    if (!answer.ok) return null;
    const blob = await answer.blob();
    return await new Promise((done) => {
      const reader = new FileReader();
      reader.onload = () => done(reader.result);
      reader.onerror = () => done(null);
      reader.readAsDataURL(blob);
    });
  } catch {
    return null; // another host's
  }
}

export async function fromData(url) {
  return (await fetch(url)).blob();
}

// A screenshot, or the part of it that a rectangle in CSS pixels takes; null where it takes none.
export async function crop(shot, rect) {
  const whole = await fromData(shot);
  if (!rect) return whole;
  const bitmap = await createImageBitmap(whole);
  const at = (value) => Math.max(0, Math.round(value * rect.ratio));
  const [x, y] = [at(rect.x), at(rect.y)];
  const width = Math.min(bitmap.width - x, at(rect.x + rect.width) - x);
  const height = Math.min(bitmap.height - y, at(rect.y + rect.height) - y);
  if (width <= 0 || height <= 0) return null;
  const canvas = new OffscreenCanvas(width, height);
  canvas.getContext("2d").drawImage(bitmap, x, y, width, height, 0, 0, width, height);
  return canvas.convertToBlob({ type: "image/png" });
}

// A mark, with half as much again on every side, as a data address; "" without one. box: left, top, right, bottom in a
// picture of width x height.
export async function enlarge(blob, { box, width, height }) {
  try {
    const bitmap = await createImageBitmap(blob);
    const [left, top, right, bottom] = box.map((at, i) => at * (i % 2 ? bitmap.height / height : bitmap.width / width));
    const [across, down] = [(right - left) / 2, (bottom - top) / 2];
    const [x, y] = [Math.max(0, left - across), Math.max(0, top - down)];
    const part = [Math.min(bitmap.width, right + across) - x, Math.min(bitmap.height, bottom + down) - y];
    const scale = SMALL / Math.max(...part);
    const canvas = new OffscreenCanvas(...part.map((side) => Math.max(1, Math.round(side * scale))));
    canvas.getContext("2d").drawImage(bitmap, x, y, ...part, 0, 0, canvas.width, canvas.height);
    return await address(canvas);
  } catch {
    return "";
  }
}

async function address(canvas) {
  const bytes = new Uint8Array(await (await canvas.convertToBlob({ type: "image/jpeg" })).arrayBuffer());
  return `data:image/jpeg;base64,${btoa(String.fromCharCode(...bytes))}`;
}

// A small copy as a data address, "" for what the browser does not decode.
export async function thumbnail(blob) {
  try {
    const bitmap = await createImageBitmap(blob);
    const scale = Math.min(1, SMALL / Math.max(bitmap.width, bitmap.height));
    const canvas = new OffscreenCanvas(Math.max(1, bitmap.width * scale), Math.max(1, bitmap.height * scale));
    canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    return await address(canvas);
  } catch {
    return "";
  }
}
