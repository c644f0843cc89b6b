"use client";

import { useEffect, useState } from "react";

/** The reader's clock in epoch milliseconds, renewed each second while the page is looked at. */
export function useNow(periodMs = 1000): number {
  const [now, setNow] = useState(0);
  useEffect(() => {
    const tick = () => setNow(Date.now());
    tick();
    const timer = setInterval(tick, periodMs);
    return () => clearInterval(timer);
  }, [periodMs]);
  return now;
}
