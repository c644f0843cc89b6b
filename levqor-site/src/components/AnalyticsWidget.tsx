"use client";

import Link from "next/link";

import { type Day, pointsOf, pointText } from "@/components/retention/activeDays";
import { Panel } from "@/components/ui/Panel";
import { Sparkline } from "@/components/ui/Sparkline";
import { type Read, useApi } from "@/hooks/useApi";
import { useNow } from "@/hooks/useNow";
import { type Session, useSession } from "@/hooks/useSession";
import type { Schemas } from "@/lib/api";
import { dayText } from "@/lib/days";
import { ago, count, percent } from "@/lib/format";
import { whyNoSignIn } from "@/lib/signIn";

import styles from "./AnalyticsWidget.module.css";

const REFRESH_MS = 60_000;
const DAYS = 14;
const SOURCES = 3;

type Retention = Schemas["Retention"];
type Analytics = Schemas["Analytics"];

/** The Retention card: DAU, WAU, MAU, 14 days as a line, with users and where they come from. */
export function AnalyticsWidget() {
  const session = useSession();
  const isSignedIn = session.data?.signed_in === true;
  const retention = useApi<Retention>(isSignedIn ? "/admin/retention" : null, REFRESH_MS);
  const analytics = useApi<Analytics>(isSignedIn ? "/admin/analytics" : null, REFRESH_MS);
  const now = useNow();
  // After a sign-out the last answer is still there; it is nobody's business then.
  const shown = isSignedIn ? retention.data : undefined;
  const age = shown !== undefined && now > 0 ? Math.max(0, now - retention.receivedAt) / 1000 : null;
  return (
    <Panel
      title="Retention"
      aside={
        <>
          {age !== null && <span>{ago(age)}</span>}
          <Link href="/retention" prefetch={false}>cohorts</Link>
        </>
      }
      problem={shown === undefined ? problemOf(session, retention, isSignedIn) : undefined}
      isStale={shown !== undefined && (retention.isStaleAt(now) || retention.error !== undefined)}
      empty={emptyOf(session.data, shown)}
    >
      {shown !== undefined && <Days retention={shown} />}
      {shown !== undefined && <Users analytics={analytics} />}
    </Panel>
  );
}

function problemOf(session: Read<Session>, retention: Read<Retention>, isSignedIn: boolean): string | undefined {
  if (isSignedIn) return retention.error?.message;
  return session.data === undefined && session.error !== undefined ? whyNoSignIn(session.error) : undefined;
}

function emptyOf(session: Session | undefined, retention: Retention | undefined) {
  if (session?.signed_in === false) return <p>{session.read_only ?? "Sign in to see who is active."}</p>;
  if (retention === undefined) return <p aria-busy="true">Loading…</p>;
  if (retention.history_from !== null) return undefined;
  return (
    <p>
      Nobody was active yet. <code>levqor import activity FILE</code> or <code>POST /api/v1/events</code> brings activity in.
    </p>
  );
}

function Days({ retention }: { retention: Retention }) {
  const days = retention.metrics.slice(0, DAYS).reverse();
  const last = days.at(-1);
  if (last === undefined) return null;
  const { ratio } = retention.stickiness;
  const daily = pointsOf(days, "dau");
  return (
    <>
      <dl className={styles.figures}>
        <Count name="DAU" value={pointText(daily.at(-1), count)} />
        <Count name="WAU" value={pointText(pointsOf([last], "wau")[0], count)} />
        <Count name="MAU" value={pointText(pointsOf([last], "mau")[0], count)} />
        <Count name="DAU / MAU" value={ratio === null ? "not yet" : percent(ratio, 1)} />
      </dl>
      <Sparkline values={daily.map((point) => point.value)} label={sparklineText(days)} />
    </>
  );
}

/** The line in words, the oldest day first. */
export function sparklineText(days: readonly Day[]): string {
  const [first, last] = [days[0], days.at(-1)];
  if (first === undefined || last === undefined) return "No day is over yet";
  const figures = pointsOf(days, "dau").map((point) => pointText(point, count));
  return `Daily active users from ${dayText(first.day)} to ${dayText(last.day)}: ${figures.join(", ")}`;
}

function Users({ analytics: { data, error } }: { analytics: Read<Analytics> }) {
  if (data === undefined) {
    return <p className={styles.users}>{error === undefined ? "Counting users…" : `Users are unknown: ${error.message}`}</p>;
  }
  const sources = data.referral_sources.slice(0, SOURCES).map((source) => `${source.source} (${count(source.users)})`);
  const text = `${count(data.users.total)} users, ${count(data.users.new_7d)} new in 7 days${sources.length > 0 ? `; from ${sources.join(", ")}` : ""}`;
  return (
    <p className={styles.users} title={text}>
      {text}
    </p>
  );
}

function Count({ name, value }: { name: string; value: string }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </div>
  );
}
