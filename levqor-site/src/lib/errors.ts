const DSN = process.env.NEXT_PUBLIC_SENTRY_DSN_FE ?? "";

/** Tells Sentry of this page's errors where the build names its DSN; a build without one does not hold its code either. */
export async function reportErrors(): Promise<void> {
  if (DSN === "") return;
  const { init } = await import("@sentry/browser");
  init({ dsn: DSN, sendDefaultPii: false, tracesSampleRate: 0 });
}
