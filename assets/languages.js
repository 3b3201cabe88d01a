// Before Gradio starts: back to the language that was chosen here, and Gradio's own words in the page's language
// (ui/languages.py says which those are).
(() => {
  const address = new URL(location), { spoken, gradio, words, tap, unknown } = window.ccLanguage;
  let chosen = null;
  try { chosen = localStorage.getItem("language"); } catch { /* a browser may keep nothing */ }
  if (chosen && chosen !== spoken && !address.searchParams.has("lang")) {
    address.searchParams.set("lang", chosen);
    location.replace(address);
  }
  Object.defineProperty(navigator, "language", { get: () => gradio });
  document.documentElement.style.setProperty("--cc-tap", JSON.stringify(tap));
  if (unknown) addEventListener("DOMContentLoaded", () => {
    const line = document.createElement("p");
    Object.assign(line, { className: "cc-unknown-language", lang: "en", dir: "auto", textContent: unknown });
    line.setAttribute("role", "status");
    document.body.prepend(line);
  });
  const say = (part) => {
    for (const name of ["aria-label", "title"]) {
      const said = words[part.getAttribute(name)];
      if (said) part.setAttribute(name, said);
    }
    const text = part.firstChild;
    if (text?.nodeType === Node.TEXT_NODE && words[text.data.trim()]) text.data = `${words[text.data.trim()]} `;
  };
  const watched = { subtree: true, childList: true, attributeFilter: ["aria-label", "title"] };
  if (Object.keys(words).length) new MutationObserver((changes) => {
    for (const { type, target, addedNodes } of changes) {
      const parts = type === "attributes" ? [target] : [...addedNodes].filter((node) => node instanceof Element);
      for (const part of parts) [part, ...part.querySelectorAll("button")].forEach(say);
    }
  }).observe(document, watched);
})();
