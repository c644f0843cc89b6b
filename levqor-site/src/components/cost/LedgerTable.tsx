"use client";

import { useState } from "react";

import { Button } from "@/components/ui/Button";
import { Panel } from "@/components/ui/Panel";
import { Pill } from "@/components/ui/Pill";
import { Tabs } from "@/components/ui/Tabs";
import { Time } from "@/components/ui/Time";
import { type Read, useApi } from "@/hooks/useApi";
import { useNow } from "@/hooks/useNow";
import { type Session, useSession } from "@/hooks/useSession";
import type { Schemas } from "@/lib/api";
import { daysAfter, longDay } from "@/lib/days";
import { count } from "@/lib/format";
import { whyNoSignIn } from "@/lib/signIn";

import styles from "./Cost.module.css";

type Ledger = Schemas["Ledger"];

const POLL_MS = 60_000;
const PAGE = 25;
const MOST = 1000;
const KINDS = ["all", "workers", "infra", "ai", "fees", "revenue"] as const;
type Kind = (typeof KINDS)[number];

/** The entries that every figure is made of, the newest first. Who wrote which sums is for who is signed in. */
export function LedgerTable() {
  const session = useSession();
  const isSignedIn = session.data?.signed_in === true;
  const [kind, setKind] = useState<Kind>("all");
  const [upTo, setUpTo] = useState("");
  const [limit, setLimit] = useState(PAGE);
  const ledger = useApi<Ledger>(isSignedIn ? pathOf(kind, upTo, limit) : null, POLL_MS);
  const now = useNow();
  const shown = ledger.data;
  return (
    <Panel
      title="Ledger"
      aside={
        <div className={styles.controls}>
          <label>
            up to{" "}
            <input
              type="date"
              value={upTo}
              onChange={(event) => {
                setUpTo(event.target.value);
                setLimit(PAGE);
              }}
            />
          </label>
        </div>
      }
      problem={problemOf(session, ledger)}
      isStale={isSignedIn && shown !== undefined && (ledger.isStaleAt(now) || ledger.error !== undefined)}
      empty={emptyOf(isSignedIn, shown)}
    >
      <div className={styles.scroll}>
        <Tabs
          label="Category"
          options={KINDS}
          value={kind}
          onChange={(next) => {
            setKind(next);
            setLimit(PAGE);
          }}
        />
      </div>
      {isSignedIn && shown !== undefined && <Entries ledger={shown} />}
      {isSignedIn && shown !== undefined && shown.entries.length < shown.count && limit < MOST && (
        <Button onClick={() => setLimit(Math.min(MOST, limit * 2))}>Show more</Button>
      )}
      {limit >= MOST && <p className={styles.note}>More than {count(MOST)} are not shown at once: choose a day or a category.</p>}
    </Panel>
  );
}

function problemOf(session: Read<Session>, ledger: Read<Ledger>): string | undefined {
  if (session.data === undefined) return session.error === undefined ? undefined : whyNoSignIn(session.error);
  return session.data.signed_in && ledger.data === undefined ? ledger.error?.message : undefined;
}

/** The day itself is meant too. */
function pathOf(kind: Kind, upTo: string, limit: number): string {
  const query = new URLSearchParams({ limit: String(limit) });
  if (kind !== "all") query.set("category", kind);
  if (upTo !== "") query.set("until", `${daysAfter(upTo, 1)}T00:00:00Z`);
  return `/ops/cost/ledger?${query.toString()}`;
}

function emptyOf(isSignedIn: boolean, ledger: Ledger | undefined) {
  if (!isSignedIn) return <p>Sign in to see the entries.</p>;
  return ledger === undefined ? <p aria-busy="true">Looking them up…</p> : undefined;
}

function Entries({ ledger }: { ledger: Ledger }) {
  if (ledger.entries.length === 0) {
    return (
      <p className={styles.note}>
        No entry. <code>levqor costs add</code> writes one, <code>levqor costs import FILE</code> many, <code>levqor costs sync</code> reads the sources.
      </p>
    );
  }
  return (
    <>
      <p className={styles.note}>
        {count(ledger.entries.length)} of {count(ledger.count)} entries.
      </p>
      <div className={styles.scroll} tabIndex={0} role="region" aria-label="Ledger entries">
        <table>
          <thead>
            <tr>
              <th scope="col">when</th>
              <th scope="col">source</th>
              <th scope="col">line</th>
              <th scope="col">category</th>
              <th scope="col">type</th>
              <th scope="col" className={styles.amount}>
                amount
              </th>
              <th scope="col">currency</th>
              <th scope="col">note</th>
            </tr>
          </thead>
          <tbody>
            {ledger.entries.map((entry) => (
              <tr key={`${entry.source} ${entry.key}`}>
                <td className={styles.when}>{entry.day === null ? <Time at={entry.at} /> : longDay(entry.day)}</td>
                <td>{entry.source}</td>
                <td className={styles.text}>{entry.line_item}</td>
                <td>{entry.category}</td>
                <td>{entry.type}</td>
                <td className={styles.amount}>{entry.amount}</td>
                <td>{entry.currency.toUpperCase()}</td>
                <td className={styles.text}>
                  {entry.status !== "final" && <Pill tone={entry.status === "stale" ? "watch" : "plain"}>{entry.status}</Pill>} {entry.note}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </>
  );
}
