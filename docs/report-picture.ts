// node docs/report-picture.ts RUN/report.html docs/report.png [dark]: the picture of a report in the README.
// Needs Chromium (Debian: apt-get install chromium); CHROMIUM names another one than /usr/bin/chromium.
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { chromium } from 'playwright-core';

const [report, picture, colorScheme] = process.argv.slice(2);
if (report === undefined || picture === undefined) {
  throw new Error('usage: node docs/report-picture.ts RUN/report.html PICTURE.png [dark]');
}
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox'],
});
try {
  const page = await browser.newPage({
    viewport: { width: 1120, height: 1320 },
    colorScheme: colorScheme === 'dark' ? 'dark' : 'light',
  });
  page.on('pageerror', (error) => console.error(`in the page: ${error.message}`));
  page.on('console', (message) => console.error(`in the page: ${message.text()}`));
  await page.goto(pathToFileURL(resolve(report)).href);
  await page.locator('#charts canvas').first().waitFor();
  await page.screenshot({ path: picture });
} finally {
  await browser.close();
}
