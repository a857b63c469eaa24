/**
 * A package of `package.json`. By name at run time: the type check of the repository, which includes this folder, knows
 * no peers.
 */
export const peer = (name) => import(name);
