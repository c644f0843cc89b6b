"use client";

import { useEffect } from "react";

import { reportErrors } from "@/lib/errors";

/** Begins to report errors once the page is usable; draws nothing. */
export function ErrorReports() {
  useEffect(() => {
    // That errors cannot be reported is no error of the page.
    reportErrors().catch((error: unknown) => console.warn("errors are not reported", error));
  }, []);
  return null;
}
