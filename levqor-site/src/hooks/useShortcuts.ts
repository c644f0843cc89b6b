"use client";

import { useRouter } from "next/navigation";
import { useEffect } from "react";

import { PAGES } from "@/lib/pages";

const SECOND_KEY_WITHIN_MS = 1200;

function isTyping(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|SELECT|TEXTAREA)$/.test(target.tagName));
}

/** `g` and then a page's key goes there. */
export function useShortcuts(): void {
  const router = useRouter();
  useEffect(() => {
    let since = 0;
    const press = (event: KeyboardEvent) => {
      if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
      const isSecond = event.timeStamp - since < SECOND_KEY_WITHIN_MS;
      const page = isSecond ? PAGES.find(({ key }) => key === event.key) : undefined;
      since = event.key === "g" ? event.timeStamp : 0;
      if (page !== undefined) router.push(page.href);
    };
    window.addEventListener("keydown", press);
    return () => window.removeEventListener("keydown", press);
  }, [router]);
}
