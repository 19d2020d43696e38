-- Loaded before the first spec, so that busted, which forgets the modules of a spec file behind it, keeps these: a second
-- luv in one process takes a second loop for its default one, and the first one's handles are lost to it.

require "cjson"
require "luv"
require "sync.core"
