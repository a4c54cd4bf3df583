// Runs Lighthouse on pages in one browser: node lighthouse.mjs DIRECTORY_OF_PACKAGES, with a JSON list of {url, cookie} on standard input.
// Prints a JSON list of results.
const [packages] = process.argv.slice(2);
const { default: lighthouse } = await import(`${packages}/node_modules/lighthouse/core/index.js`);
const { launch } = await import(`${packages}/node_modules/chrome-launcher/dist/index.js`);

const chunks = [];
for await (const chunk of process.stdin) chunks.push(chunk);
const pages = JSON.parse(Buffer.concat(chunks).toString());

const browser = await launch({
  chromePath: "/usr/bin/chromium",
  chromeFlags: ["--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"],
});
const results = [];
for (const { url, cookie } of pages) {
  const { lhr } = await lighthouse(url, {
    port: browser.port,
    logLevel: "error",
    // The audits count and do not time, so nothing slows the load down, and no quiet time must pass after it.
    throttlingMethod: "simulate",
    pauseAfterFcpMs: 0,
    pauseAfterLoadMs: 0,
    networkQuietThresholdMs: 0,
    cpuQuietThresholdMs: 0,
    disableFullPageScreenshot: true,
    onlyCategories: ["accessibility", "best-practices"],
    onlyAudits: ["cumulative-layout-shift", "network-requests"],
    extraHeaders: cookie ? { cookie } : {},
  });
  const scored = [...lhr.categories.accessibility.auditRefs, ...lhr.categories["best-practices"].auditRefs];
  const failed = scored.map(({ id }) => lhr.audits[id]).filter(({ score }) => score !== null && score < 1);
  const requests = lhr.audits["network-requests"].details.items;
  results.push({
    url: lhr.finalDisplayedUrl,
    accessibility: lhr.categories.accessibility.score,
    best_practices: lhr.categories["best-practices"].score,
    failed: failed.map(({ id, title }) => `${id}: ${title}`),
    layout_shift: lhr.audits["cumulative-layout-shift"].numericValue,
    requests: requests.map(({ url: requested }) => requested),
    bytes: requests.reduce((sum, { transferSize }) => sum + transferSize, 0),
  });
}
await browser.kill();
console.log(JSON.stringify(results));
