"""A study as one HTML page: what is known of it (`page_report`), as JSON (`document`), and the
page around that (`html`), whose scripts draw the pictures."""
