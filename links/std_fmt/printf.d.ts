// Copyright 2018-2026 the Deno authors. MIT license.
export declare function sprintf(format: string, ...args: unknown[]): string;
export declare function printf(format: string, ...args: unknown[]): void;
