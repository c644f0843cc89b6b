"use client";

import Link from "next/link";
import { usePathname } from "next/navigation";
import type { ReactNode } from "react";

import { Account } from "@/components/Account";
import { Connection } from "@/components/Connection";
import { HoldButton } from "@/components/HoldButton";
import { useShortcuts } from "@/hooks/useShortcuts";
import { PAGES } from "@/lib/pages";

import styles from "./Shell.module.css";

/** What every page has around it: where else to go, how fresh the figures are, and the button that stops everything automatic. */
export function Shell({ children }: { children: ReactNode }) {
  const path = usePathname();
  useShortcuts();
  return (
    <>
      <a className={styles.skip} href="#content">
        Skip to the content
      </a>
      <header className={styles.bar}>
        <Link href="/" prefetch={false} className={styles.name}>
          Levqor
        </Link>
        <nav aria-label="Pages" className={styles.pages}>
          {PAGES.map((page) => (
            <Link key={page.href} href={page.href} prefetch={false} title={`g ${page.key}`} aria-current={path === page.href ? "page" : undefined}>
              {page.title}
            </Link>
          ))}
        </nav>
        <div className={styles.tools}>
          <Connection />
          <HoldButton />
          <Account />
        </div>
      </header>
      <main id="content" className={styles.content} tabIndex={-1}>
        {children}
      </main>
    </>
  );
}
