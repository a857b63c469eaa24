// Copyright 2018-2026 the Deno authors. MIT license.
export interface FormatOptions {
  style?: "narrow" | "digital" | "full";
  ignoreZero?: boolean;
}
export declare function format(ms: number, options?: FormatOptions): string;
