() => {
  // Which tab is open stands in the address, so that it can be sent and Back goes to the tab before. The page's title says
  // the open tab's answer. Who would lose an answer that they have not kept is asked first, by the browser.
  const FIRST = "check";
  // As in ui/app.py. On a phone those that do not fit stand in a menu, without their names: found by their words.
  const ORDER = ["check", "batch", "compare", "pictures", "mask", "purify", "accuracy"];
  const inMenu = (name) => {
    const all = [...document.querySelectorAll(".tab-container[aria-hidden] button")];
    const order = ORDER.filter((tab) => tab !== "purify" || all.length === ORDER.length);  // not everywhere
    const words = all[order.indexOf(name)]?.textContent;
    return [...document.querySelectorAll(".overflow-dropdown button")].find((item) => item.textContent === words);
  };
  const tabOf = (name) => document.querySelector(`.tab-container [data-tab-id="${CSS.escape(name)}"]`) ?? inMenu(name);
  const opened = () => document.querySelector(".tab-container [role=tab][aria-selected=true]");
  const named = () => decodeURIComponent(location.hash.slice(1)) || FIRST;

  // A link within the page, such as #part, is no tab: the open one stays.
  const follow = () => {
    const tab = tabOf(named());
    if (tab && tab.dataset.tabId !== opened()?.dataset.tabId) tab.click();
  };
  let shown;
  const tell = () => {
    const name = opened()?.dataset.tabId;
    if (!name || name === shown) return;
    const moved = shown !== undefined && name !== named();
    shown = name;
    if (moved) history.pushState(null, "", `${location.pathname}${location.search}#${name}`);
  };
  window.addEventListener("popstate", follow);

  // By tab: where its answer stands.
  const answers = {
    check: "#status .cc-card:not(.cc-waiting):not(.cc-pending) h2",
    batch: "#batch-status .cc-said",
    compare: "#compare-answer .cc-card:not(.cc-waiting) h2",
    mask: "#mask-answer .cc-card:not(.cc-waiting) h2",
    purify: "#purify-headline .cc-card h2",
  };
  const entitle = () => {
    const tab = opened();
    if (!tab) return;
    const answer = document.querySelector(answers[tab.dataset.tabId])?.lastChild.textContent.trim();
    const words = answer || (tab.dataset.tabId === FIRST ? "" : tab.textContent.trim());
    const title = words ? `${words} - CausalCLIP` : "CausalCLIP";
    if (document.title !== title) document.title = title;
  };

  // By tab: fields by which pictures come, an answer to them, and what keeps it.
  const results = {
    check: ["#picture", "#status .cc-answered", "#report-html, #report-json, .cc-copy-text"],
    batch: ["#batch-files", "#batch-table tbody", "#batch-downloads button"],
    compare: ["#compare-a, #compare-b", "#compare-details p", "#compare-report"],
  };
  const unkept = new Set();
  const within = (target, names) => target instanceof Element && target.closest(names);
  document.addEventListener("change", ({ target }) => {
    for (const [name, [fields]] of Object.entries(results)) if (within(target, fields)) unkept.add(name);
  }, true);
  document.addEventListener("click", ({ target }) => {
    if (within(target, "#examples button")) unkept.delete("check");  // it can be had again
    for (const [name, [, , keeps]] of Object.entries(results)) if (within(target, keeps)) unkept.delete(name);
  }, true);
  window.addEventListener("beforeunload", (event) => {
    const running = document.querySelector("#batch-status progress, #reference-chooser progress:not([hidden])");
    if (running || [...unkept].some((name) => document.querySelector(results[name][1]))) event.preventDefault();
  });

  const look = () => (tell(), entitle());
  new MutationObserver(look).observe(document.body, {
    childList: true, characterData: true, subtree: true, attributeFilter: ["aria-selected"],
  });
  follow();
  look();
}
