// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IEscrowAccount} from "./interfaces/IEscrowAccount.sol";

/// @title The code behind every escrow address
/// @dev It owns the money and no opinion. No storage, no delegatecall, no owner.
contract EscrowAccount is IEscrowAccount {
    /// Gas every token call gets, and the most it can burn (ADR 0018).
    uint256 private constant TOKEN_GAS = 300_000;

    /// What `TOKEN_GAS` needs in this frame: EIP-150 keeps a 64th back, and the call itself costs a cold account and
    /// a few words around it.
    uint256 private constant GAS_NEEDED = TOKEN_GAS * 64 / 63 + 5_000;

    address private immutable LEDGER = msg.sender;

    modifier onlyLedger() {
        if (msg.sender != LEDGER) revert NotLedger(msg.sender);
        _;
    }

    /// @inheritdoc IEscrowAccount
    function disburse(address token, uint256[] calldata payouts) external onlyLedger returns (uint256 unpaid) {
        for (uint256 i; i < payouts.length; ++i) {
            uint256 payout = payouts[i];
            if (!_transfer(token, address(uint160(payout >> 96)), uint96(payout))) unpaid |= 1 << i;
        }
    }

    /// @inheritdoc IEscrowAccount
    function transfer(address token, address to, uint256 amount) external onlyLedger returns (bool) {
        return _transfer(token, to, amount);
    }

    /// @inheritdoc IEscrowAccount
    function transferEther(address to, uint256 amount) external onlyLedger returns (bool sent) {
        _expectGas();
        assembly ("memory-safe") {
            sent := call(TOKEN_GAS, to, amount, 0x00, 0x00, 0x00, 0x00)
        }
    }

    /// ERC-20 `transfer` that answers instead of reverting. Copies one word of returndata, whatever the token returns
    /// (#57); a token that returns nothing counts as paid only when it has code.
    function _transfer(address token, address to, uint256 amount) private returns (bool paid) {
        _expectGas();
        assembly ("memory-safe") {
            let free := mload(0x40)
            mstore(0x00, 0xa9059cbb) // transfer(address,uint256)
            mstore(0x20, to)
            mstore(0x40, amount)
            paid := call(TOKEN_GAS, token, 0, 0x1c, 0x44, 0x00, 0x20)
            switch returndatasize()
            case 0 { paid := and(paid, iszero(iszero(extcodesize(token)))) }
            default { paid := and(paid, and(gt(returndatasize(), 0x1f), eq(mload(0x00), 1))) }
            mstore(0x40, free)
        }
    }

    /// A caller that sends too little gas must not turn a payee who can be paid into a credit (M6c).
    function _expectGas() private view {
        if (gasleft() < GAS_NEEDED) revert NotEnoughGas(gasleft(), GAS_NEEDED);
    }
}
