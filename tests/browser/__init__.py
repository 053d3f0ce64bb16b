"""The console as people see it: in Chromium, driven by Playwright."""
