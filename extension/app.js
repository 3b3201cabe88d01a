// The app: its address, its token, and the requests that it gets. Hosts of the page's pictures are asked for them again
// by bytes.js, background.js and the panel's choices.

const api = globalThis.browser ?? chrome;
export const HOME = "http://127.0.0.1:7860";

export async function settings() {
  const kept = await api.storage.local.get({ address: HOME, token: "" });
  return { address: kept.address.replace(/\/+$/, ""), token: kept.token };
}

// The examination, or { error, claims, setup }: a sentence, what the file says where its pixels cannot be judged, and
// whether another address or token would help.
// check: whether the answer survives re-encoding, which takes most of the time. url: the picture's own, whose last part
// may hint at a generator.
export async function examine(blob, { foundAt = "", url = "" }, { report = false, check = true } = {}) {
  const { address, token } = await settings();
  const form = new FormData();
  form.append("picture", blob, "picture");
  form.append("stability", check ? "yes" : "no");
  for (const [name, address] of [["found_at", foundAt], ["picture_at", url]]) {
    if (/^https?:/.test(address) && address.length <= 2000) form.append(name, address);
  }
  const headers = { Accept: report ? "text/html" : "application/json", Authorization: `Bearer ${token}` };
  const answer = await post(`${address}/api/v1/examine`, { headers, body: form });
  if (answer.error) return answer;
  return report ? { html: await answer.ok.text() } : { found: await answer.ok.json() };
}

// Keeps where the app is, and its token. The browser asks once whether the extension may reach that address; another app
// gets no token of this one.
export async function keep(given, token) {
  const before = await settings();
  const address = given.replace(/\/+$/, "");
  const origins = [`${new URL(address).origin}/*`];
  if (!(await api.permissions.request({ origins }))) return { error: "Without that permission, the app cannot be asked." };
  await api.storage.local.set({ address, token: token.trim() || (address === before.address ? before.token : "") });
  return {};
}

async function post(url, options) {
  let answer;
  try {
    const headers = { "Accept-Language": "en", ...options.headers }; // the panel's own words are English
    answer = await fetch(url, { method: "POST", credentials: "omit", ...options, headers });
  } catch {
    const { origin } = new URL(url);
    return { error: `No CausalCLIP answers this extension at ${origin}. Start it, or change its address below.`, setup: true };
  }
  if (answer.ok) return { ok: answer };
  const said = await answer.json().catch(() => ({}));
  const error = said.error ?? `The app answered with ${answer.status}.`;
  return { error, claims: said.examination, setup: answer.status === 401 }; // claims: what the file says all the same
}
