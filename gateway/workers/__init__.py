"""Workers: one gateway of several processes, on more than one core.

supervisor   forks the others and waits: no loop, no thread, no client, no store
watch        how the supervisor decides: who is started when, and when to give up. Pure
worker       takes calls: a gateway without operators' listener, on sockets it was handed
desk         the operators' listener and the bundled store: what there is once
shelf        memory they share: each writes its own slot, whoever likes reads
seats        what is written there, and what it comes to
sharing      the bounds of the gateway -> those of one worker
listening    the sockets, bound once for all
"""
