() => {
  // Arrow keys, Home and End go from tab to tab, as everywhere; only the open one is a stop of the Tab key.
  const tabs = () => [...document.querySelectorAll(".gradio-container [role=tablist] > [role=tab]")].filter((tab) => tab.checkVisibility());
  const rove = () => {
    for (const tab of tabs()) {
      const stop = tab.getAttribute("aria-selected") === "true" ? "0" : "-1";
      if (tab.getAttribute("tabindex") !== stop) tab.setAttribute("tabindex", stop);
    }
  };
  document.addEventListener("keydown", (event) => {
    const all = tabs(), at = all.indexOf(event.target);
    if (at < 0 || event.altKey || event.ctrlKey || event.metaKey) return;
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1 + all.length, Home: 0, End: all.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    const tab = all[to % all.length];
    tab.click();
    tab.focus();
  });

  // A fold says whether it is open. Gradio's own says so by an arrow alone.
  const folds = () => {
    for (const fold of document.querySelectorAll(".gradio-container button.label-wrap")) {
      const open = String(fold.classList.contains("open"));
      if (fold.getAttribute("aria-expanded") !== open) fold.setAttribute("aria-expanded", open);
    }
  };
  // Gradio's own signs beside words are no second words.
  const signs = () => {
    document.querySelectorAll("footer button img:not([alt=''])").forEach((sign) => (sign.alt = ""));
    document.querySelectorAll("button.label-wrap .icon:not([aria-hidden])").forEach((sign) => sign.setAttribute("aria-hidden", "true"));
  };
  // A name needs a role: that of what shows no picture yet.
  const blanks = () => document.querySelectorAll("div.empty[aria-label]:not([role])").forEach((blank) => blank.setAttribute("role", "img"));
  // The calendar of a field for a day is called as the field is.
  const calendars = () => {
    for (const button of document.querySelectorAll("button.calendar:not([aria-label])")) {
      const label = button.closest(".block")?.querySelector("[data-testid=block-info], label, .label-content");
      if (label?.textContent.trim()) button.setAttribute("aria-label", label.textContent.trim());
    }
  };
  // A link that holds a button is one stop, not two.
  const stops = () => document.querySelectorAll(".download-link button:not([tabindex='-1'])").forEach((button) => (button.tabIndex = -1));
  const tell = () => (rove(), folds(), signs(), blanks(), calendars(), stops());
  new MutationObserver(tell).observe(document.body, { childList: true, subtree: true, attributes: true, attributeFilter: ["class", "aria-selected"] });
  tell();
}
