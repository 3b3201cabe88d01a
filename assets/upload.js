() => {
  // The upload field refuses what has no image type, and some systems give HEIC, AVIF and TIFF files none; so everything
  // gets one, and the server says what is wrong with a file that is no picture. Files are also renamed, so that the name
  // that a person gave a picture never leaves the browser.
  const types = { avif: "image/avif", heic: "image/heic", heif: "image/heif", tif: "image/tiff", tiff: "image/tiff" };
  const place = ".cc-picture";
  const inputOf = (element) => element && element.querySelector("input[type=file]");

  const plain = (file) => {
    const ending = (file.name.split(".").pop() || "").toLowerCase().replace(/[^a-z0-9]/g, "");
    const kind = file.type.startsWith("image/") ? file.type : types[ending] || "image/unknown";
    return new File([file], `picture.${ending}`, { type: kind });
  };

  const fill = (input, files) => {
    const transfer = new DataTransfer();
    transfer.items.add(plain(files[0]));
    input.files = transfer.files;
  };

  const offer = (event, files, input) => {
    if (!input || !files || !files.length) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    fill(input, files);
    input.dispatchEvent(new Event("change", { bubbles: true }));
  };

  const fieldOf = (event) => event.target instanceof Element && event.target.closest(place);
  // What is pasted goes to the first empty field that is in sight.
  const empty = () => [...document.querySelectorAll(place)].filter((e) => e.checkVisibility()).map(inputOf).find(Boolean);
  document.addEventListener(
    "change",
    (event) => {
      const input = event.target;
      if (input === inputOf(fieldOf(event)) && input.files.length && input.files[0].name !== plain(input.files[0]).name) fill(input, input.files);
    },
    true,
  );
  document.addEventListener("drop", (event) => offer(event, event.dataTransfer.files, inputOf(fieldOf(event))), true);
  document.addEventListener("paste", (event) => offer(event, event.clipboardData.files, empty()), true);
}
