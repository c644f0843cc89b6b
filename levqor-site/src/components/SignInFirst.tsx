import type { Read } from "@/hooks/useApi";
import type { Session } from "@/hooks/useSession";
import { whyNoSignIn } from "@/lib/signIn";

import styles from "./Waiting.module.css";

/** In place of what only the admin may see. */
export function SignInFirst({ title, what, session }: { title: string; what: string; session: Read<Session> }) {
  return (
    <section className={styles.waiting}>
      <h1>{title}</h1>
      <p>{textOf(what, session)}</p>
    </section>
  );
}

function textOf(what: string, { data, error }: Read<Session>): string {
  if (data === undefined && error !== undefined) return `${whyNoSignIn(error)}.`;
  return data?.read_only ?? `Sign in to see ${what}: the button at the top right takes the admin token.`;
}
