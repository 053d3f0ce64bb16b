"""Who says what to whom, as documents: AsyncAPI for programs, a page and Markdown for people."""
