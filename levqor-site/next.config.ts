import type { NextConfig } from "next";

// The control plane may serve the page under any prefix, known only when it starts: the build carries this mark in its
// place, and the server puts the prefix there. A build for a host of its own (Vercel) has no prefix.
const PREFIX_MARK = "/__levqor_prefix__";

const isHostedElsewhere = Boolean(process.env.NEXT_PUBLIC_API_URL);

const config: NextConfig = {
  output: "export",
  basePath: isHostedElsewhere ? "" : PREFIX_MARK,
  env: {
    NEXT_PUBLIC_BASE_PATH: isHostedElsewhere ? "" : PREFIX_MARK,
    // Always a constant, so that a build without it leaves out what would use it.
    NEXT_PUBLIC_SENTRY_DSN_FE: process.env.NEXT_PUBLIC_SENTRY_DSN_FE ?? "",
  },
  images: { unoptimized: true },
  poweredByHeader: false,
  reactStrictMode: true,
  typescript: { tsconfigPath: "tsconfig.json" },
};

export default config;
