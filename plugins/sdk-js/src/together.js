// Calls of other contexts that do not depend on each other, made side by side: where those contexts live on other hosts,
// together they take the time of the slowest. The world of the context imports `seam:host/together`.

import host from "seam:host/together@0.1.0";

/**
 * What each function returned or threw, as `Promise.allSettled` shows it. Each function makes one call of another
 * context and does nothing else but put its answer into shape: it may run twice, and the first time its call throws
 * `unavailable`, before it is made. An exception that is no error of an interface is thrown.
 * @param {(() => unknown)[]} calls at most 8 are made side by side, the others afterwards
 * @returns {({ status: "fulfilled", value: any } | { status: "rejected", reason: any })[]}
 */
export function together(calls) {
  const kept = host.collect();
  if (kept) {
    calls.forEach((call, at) => {
      if (at > 0) host.collect();
      settled(call);
    });
    host.perform();
  }
  const answers = calls.map(settled);
  if (kept) host.finish();
  return answers;
}

function settled(call) {
  try {
    return { status: "fulfilled", value: call() };
  } catch (reason) {
    if (reason?.payload?.tag) return { status: "rejected", reason };
    throw reason;
  }
}
