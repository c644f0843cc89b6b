import "@/styles/tokens.css";
import "@/styles/globals.css";

import type { Metadata, Viewport } from "next";
import type { ReactNode } from "react";

import { ErrorReports } from "@/components/ErrorReports";
import { Shell } from "@/components/Shell";

export const metadata: Metadata = {
  title: { default: "Levqor", template: "%s · Levqor" },
  description: "What the autopilot measures, decides and does.",
  icons: { icon: "data:," },
};

export const viewport: Viewport = {
  width: "device-width",
  initialScale: 1,
  themeColor: [
    { media: "(prefers-color-scheme: light)", color: "#f6f7f9" },
    { media: "(prefers-color-scheme: dark)", color: "#0f141a" },
  ],
};

export default function Layout({ children }: { children: ReactNode }) {
  return (
    <html lang="en">
      <body>
        <ErrorReports />
        <Shell>{children}</Shell>
      </body>
    </html>
  );
}
