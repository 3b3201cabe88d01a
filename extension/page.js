// Functions that run in the page. Each stands alone: the browser takes its text, and nothing around it.

// The addresses at which the page offers this picture larger, the largest first, and where it is seen; null in a frame,
// whose own coordinates are not those of a screenshot.
export function locate(url) {
  const images = [...document.images];
  const image = images.find((one) => one.currentSrc === url) ?? images.find((one) => one.src === url);
  if (!image) return { offered: [], rect: null };
  // an address has no blanks, and a comma only inside; then its width or density
  const parts = (set) => [...set.matchAll(/(\S*[^\s,])(?:\s+([\d.]+)([wx]))?\s*(?:,|$)/g)];
  const read = ([, to, size = 1, unit = "x"]) => ({ at: new URL(to, document.baseURI).href, size: Number(size), unit });
  const all = [...(image.closest("picture")?.querySelectorAll("source") ?? [])];
  const sources = all.filter((one) => matchMedia(one.media).matches);
  // Another source may hold another crop. The browser took the one that holds what is shown, also by its type.
  const sets = [...sources, image].map(({ srcset }) => parts(srcset).map(read));
  sets.at(-1).push({ at: image.src, size: 1, unit: "x" });
  const set = sets.find((one) => one.some(({ at }) => at === url)) ?? [];
  const shown = set.find(({ at }) => at === url);
  const larger = set.filter((one) => one.unit === shown.unit && one.size > shown.size).sort((a, b) => b.size - a.size);
  const wide = larger.map(({ at }) => at);
  const waiting = image.naturalWidth <= 64 && (image.dataset.src ?? image.dataset.original ?? image.dataset.lazySrc);
  if (waiting) wide.unshift(new URL(waiting, document.baseURI).href);
  const box = image.getBoundingClientRect();
  const rect = { x: box.x, y: box.y, width: box.width, height: box.height, ratio: window.devicePixelRatio };
  return { offered: wide, rect: window === window.top ? rect : null };
}

// Pictures that are seen now, also those in CSS: [{ url, rect }], the largest first.
export function pictures() {
  const found = new Map();
  const add = (url, element) => {
    const box = element.getBoundingClientRect();
    const seen = box.bottom > 0 && box.right > 0 && box.top < innerHeight && box.left < innerWidth;
    if (!url || !seen || box.width < 48 || box.height < 48) return;
    const rect = { x: box.x, y: box.y, width: box.width, height: box.height, ratio: devicePixelRatio };
    if (!found.has(url)) found.set(url, { url, rect });
  };
  for (const element of document.querySelectorAll("*")) {
    if (element instanceof HTMLImageElement) add(element.currentSrc || element.src, element);
    if (element instanceof HTMLVideoElement) add(element.poster, element);
    for (const pseudo of [null, "::before", "::after"]) {
      const image = getComputedStyle(element, pseudo).backgroundImage;
      for (const [, , url] of image.matchAll(/url\((["']?)(.*?)\1\)/g)) add(url, element);
    }
  }
  return [...found.values()].sort((a, b) => b.rect.width * b.rect.height - a.rect.width * a.rect.height).slice(0, 12);
}
