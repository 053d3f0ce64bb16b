"""Report: samples as Markdown tables, in docs/performance.md, and as a picture."""
