"use client";

import { PageTitle } from "@/components/PageTitle";
import { Alerts } from "@/components/settings/Alerts";
import { Audit } from "@/components/settings/Audit";
import { Configuration } from "@/components/settings/Configuration";
import { Episodes } from "@/components/settings/Episodes";
import { Flags } from "@/components/settings/Flags";
import { Stops } from "@/components/settings/Stops";
import { Waiting } from "@/components/Waiting";
import { useApi } from "@/hooks/useApi";
import { useNow } from "@/hooks/useNow";
import { ApiError, type Schemas } from "@/lib/api";

import styles from "./page.module.css";

const POLL_MS = 5000;

/** What may be turned, who turned it, what holds, and who is told. */
export default function SettingsPage() {
  const flags = useApi<Schemas["FlagBoard"]>("/ops/flags", POLL_MS);
  const now = useNow();
  const { data, error } = flags;
  if (data === undefined || (error instanceof ApiError && error.needsSignIn)) return <Waiting error={error} />;
  return (
    <>
      <PageTitle title="Settings" lead="Flags, what is stopped, who is told, who changed what, and the configuration in force." />
      <div className={styles.stack}>
        <Flags board={data} isStale={flags.isStaleAt(now) || error !== undefined} />
        <div className={styles.columns}>
          <Stops />
          <Episodes />
          <Alerts />
        </div>
        <Audit />
        <Configuration />
      </div>
    </>
  );
}
