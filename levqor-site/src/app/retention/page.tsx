"use client";

import { PageTitle } from "@/components/PageTitle";
import { ActiveUsers } from "@/components/retention/ActiveUsers";
import { CohortTable } from "@/components/retention/CohortTable";
import { Headline } from "@/components/retention/Headline";
import { People } from "@/components/retention/People";
import { Stickiness } from "@/components/retention/Stickiness";
import { SignInFirst } from "@/components/SignInFirst";
import { Panel } from "@/components/ui/Panel";
import { Waiting } from "@/components/Waiting";
import { useApi } from "@/hooks/useApi";
import { useNow } from "@/hooks/useNow";
import { useSession } from "@/hooks/useSession";
import { ApiError, type Schemas } from "@/lib/api";

import styles from "./page.module.css";

const POLL_MS = 60_000;

/** Who stays. All of it is about people, so it is for who is signed in. */
export default function RetentionPage() {
  const session = useSession();
  const isOff = session.error instanceof ApiError && session.error.status === 404;
  if (session.data === undefined && !isOff) return <Waiting error={session.error} />;
  if (session.data?.signed_in !== true) return <SignInFirst title="Retention" what="who is active" session={session} />;
  return <SignedIn />;
}

function SignedIn() {
  const retention = useApi<Schemas["Retention"]>("/admin/retention", POLL_MS);
  const analytics = useApi<Schemas["Analytics"]>("/admin/analytics", POLL_MS);
  const now = useNow();
  if (retention.data === undefined) return <Waiting error={retention.error} />;
  const isStale = retention.isStaleAt(now) || retention.error !== undefined;
  return (
    <>
      <PageTitle title="Retention" lead="Who is active, who comes back, and where they came from." />
      {retention.data.history_from === null ? (
        <Nobody />
      ) : (
        <div className={styles.stack}>
          <Headline retention={retention.data} />
          <ActiveUsers retention={retention.data} isStale={isStale} />
          <CohortTable />
          <div className={styles.columns}>
            <Stickiness stickiness={retention.data.stickiness} isStale={isStale} />
            <People
              analytics={analytics.data}
              problem={analytics.data === undefined ? analytics.error?.message : undefined}
              isStale={analytics.data !== undefined && (analytics.isStaleAt(now) || analytics.error !== undefined)}
            />
          </div>
        </div>
      )}
    </>
  );
}

function Nobody() {
  return (
    <Panel
      title="Active users"
      empty={
        <>
          <p>
            Nobody was active yet. <code>levqor import activity FILE</code> brings a log in; <code>POST /api/v1/events</code> and{" "}
            <code>POST /audit</code> take events as they happen; <code>ANALYTICS_EVENTS_SQL</code> has them pulled from your own database.
          </p>
        </>
      }
    />
  );
}
