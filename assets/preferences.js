// The head's language and theme (ui/app.py): the language goes into the address; both stay in the browser's own storage.
const select = element.querySelector("select"), theme = element.querySelector(".cc-theme");
const keep = (name, value) => {
  try { localStorage.setItem(name, value); } catch { /* a browser may keep nothing */ }
};
const dark = () => document.body.classList.contains("dark");
const show = (to) => document.body.classList.toggle("dark", to === "dark");
select.addEventListener("change", () => {
  keep("language", select.value);
  const address = new URL(location);
  address.searchParams.set("lang", select.value);
  location.assign(address);
});
theme.addEventListener("click", () => {
  show(dark() ? "light" : "dark");
  keep("theme", dark() ? "dark" : "light");
});
try {
  const kept = localStorage.getItem("theme");
  if (kept) show(kept);
} catch { /* a browser may keep nothing */ }
