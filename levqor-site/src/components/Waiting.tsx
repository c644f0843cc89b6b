import { ApiError, type LostConnection } from "@/lib/api";

import styles from "./Waiting.module.css";

/** A page before its first figures: loading, not allowed, or nobody there; each says what to do. */
export function Waiting({ error }: { error: ApiError | LostConnection | undefined }) {
  if (error === undefined) {
    return (
      <p className={styles.waiting} aria-busy="true">
        Asking Levqor…
      </p>
    );
  }
  if (error instanceof ApiError && error.needsSignIn) {
    return (
      <section className={styles.waiting}>
        <h1>Sign in to see this</h1>
        <p>
          Levqor shows this to the admin alone: the button at the top right takes the admin token.
        </p>
      </section>
    );
  }
  if (error instanceof ApiError) {
    return (
      <section className={styles.waiting} role="alert">
        <h1>Levqor cannot say</h1>
        <p>{error.detail}</p>
        <p>
          <code>levqor doctor</code> says what is wrong. This page asks again by itself.
        </p>
      </section>
    );
  }
  return (
    <section className={styles.waiting} role="alert">
      <h1>Levqor does not answer</h1>
      <p>
        Nothing is known of the workers now; they go on at their last target. Is the service up? <code>levqor status</code> asks from its own
        machine. This page asks again by itself.
      </p>
    </section>
  );
}
