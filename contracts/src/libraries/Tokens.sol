// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {LibCall} from "solady/utils/LibCall.sol";

import {ITaskEscrow} from "../interfaces/ITaskEscrow.sol";
import {Authorization} from "../Types.sol";

/// @title Calls of the ledger to a token: bounded in gas and in what they may return (#57)
library Tokens {
    /// Gas of a balance query.
    uint256 internal constant BALANCE_GAS = 300_000;
    /// Gas of an authorization. More than a transfer gets: the token may ask a contract wallet for its signature. It
    /// can only fail the caller's own payment, so this cap decides about nobody's money.
    uint256 internal constant AUTHORIZATION_GAS = 2_000_000;
    /// The most of a token's reason that is passed on.
    uint16 internal constant MAX_REASON = 256;

    /// @notice The balance of `account`; reverts where the token does not say.
    function balanceOf(address token, address account) internal view returns (uint256 units) {
        bool known;
        uint256 gasCap = BALANCE_GAS;
        assembly ("memory-safe") {
            mstore(0x00, 0x70a08231) // balanceOf(address)
            mstore(0x20, account)
            known := staticcall(gasCap, token, 0x1c, 0x24, 0x00, 0x20)
            known := and(known, gt(returndatasize(), 0x1f))
            units := mload(0x00)
        }
        if (!known) revert ITaskEscrow.BalanceUnknown(token);
    }

    /// @notice Executes an authorization to `to`. Returns what arrived, measured: the token's word is not taken for it.
    function transferWithAuthorization(
        address token,
        address to,
        Authorization calldata a,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) internal returns (uint256) {
        bytes4 selector = bytes4(
            keccak256(
                "transferWithAuthorization(address,address,uint256,uint256,uint256,bytes32,uint8,bytes32,bytes32)"
            )
        );
        return _received(
            token,
            to,
            abi.encodeWithSelector(selector, a.from, to, a.value, a.validAfter, a.validBefore, a.nonce, v, r, s)
        );
    }

    /// @notice The same with a signature of any length.
    function transferWithAuthorization(address token, address to, Authorization calldata a, bytes calldata signature)
        internal
        returns (uint256)
    {
        bytes4 selector =
            bytes4(keccak256("transferWithAuthorization(address,address,uint256,uint256,uint256,bytes32,bytes)"));
        return _received(
            token,
            to,
            abi.encodeWithSelector(selector, a.from, to, a.value, a.validAfter, a.validBefore, a.nonce, signature)
        );
    }

    function _received(address token, address to, bytes memory data) private returns (uint256) {
        uint256 before = balanceOf(token, to);
        (bool accepted,, bytes memory reason) = LibCall.tryCall(token, 0, AUTHORIZATION_GAS, MAX_REASON, data);
        if (!accepted) revert ITaskEscrow.PaymentRefused(reason);
        uint256 present = balanceOf(token, to);
        return present > before ? present - before : 0;
    }
}
