// What the browser keeps for a page from visit to visit.

/** Uses the browser's storage; `null` where it forbids that: what is kept then lasts as long as its page. */
export function stored(use) {
  try {
    return use(localStorage);
  } catch {
    return null;
  }
}
