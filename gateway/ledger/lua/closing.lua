-- closing.lua: stands after every script of this folder, whose body the loader makes the function `decide`.
--
-- Every answer ends with the last argument, a word no other call shares, so that no answer can be taken for
-- another call's: also not where an answer before it was lost, or came twice. That goes for errors too, which
-- a store would otherwise send without it.

local ran, answer = pcall(decide)
if not ran then
  answer = {'failed', type(answer) == 'table' and answer.err or tostring(answer)}
end
answer[#answer + 1] = ARGV[#ARGV]
return answer
