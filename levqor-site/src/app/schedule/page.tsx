"use client";

import { useState } from "react";

import { PageTitle } from "@/components/PageTitle";
import { Backups } from "@/components/schedule/Backups";
import { Jobs } from "@/components/schedule/Jobs";
import { Runs } from "@/components/schedule/Runs";
import { Verify } from "@/components/schedule/Verify";
import { Waiting } from "@/components/Waiting";
import { useApi } from "@/hooks/useApi";
import { useNow } from "@/hooks/useNow";
import { ApiError, type Schemas } from "@/lib/api";

import styles from "./page.module.css";

const SCHEDULE_MS = 5000;
const VERIFY_MS = 3000;

/** What Levqor does by the clock, how it went, and whether the installation is sound. */
export default function SchedulePage() {
  const schedule = useApi<Schemas["Schedule"]>("/ops/schedule", SCHEDULE_MS);
  const verification = useApi<Schemas["Verification"]>("/ops/verify/latest", VERIFY_MS);
  const [chosen, setChosen] = useState<string | null>(null);
  const now = useNow();
  const { data, error } = schedule;
  if (data === undefined || (error instanceof ApiError && error.needsSignIn)) return <Waiting error={error} />;
  const isStale = schedule.isStaleAt(now) || error !== undefined;
  return (
    <>
      <PageTitle title="Schedule" lead="What Levqor does by the clock, how it went, and whether this installation is sound." />
      <div className={styles.stack}>
        <Jobs jobs={data.jobs} isStale={isStale} chosen={chosen} onChoose={setChosen} />
        <div className={styles.columns}>
          <Runs key={chosen ?? ""} job={chosen} />
          <Backups jobs={data.jobs} verification={verification.data} isStale={isStale} />
        </div>
        <Verify read={verification} />
      </div>
    </>
  );
}
