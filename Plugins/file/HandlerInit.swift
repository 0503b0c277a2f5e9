// SPDX-License-Identifier: Apache-2.0

import HandlerKit

@c(handler_init)
public func handlerInit() -> Int32 { registerHandler(FileHandler.self) }
